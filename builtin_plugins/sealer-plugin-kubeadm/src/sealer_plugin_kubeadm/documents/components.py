"""The fields of kubelet's and kube-proxy's documents: their API version stays, and Kubernetes' own grows.

The fields without a version are those of Kubernetes v1.20. Of the others it is known only that v1.20 did not have them:
`21-` says no more than that, and whether the image's kubelet knows one is for the kubelet to say.
"""

from __future__ import annotations

from sealer_plugin_kubeadm.documents.fields import parse_table

NEWEST = 35  # the minor version of Kubernetes whose fields are known; of a newer one unknown fields are passed on

_TABLE = """
KubeletConfiguration
    address                                    text
    allowedUnsafeSysctls                       [text]
    authentication                             Authentication
    authorization                              Authorization
    cgroupDriver                               text
    cgroupRoot                                 text
    cgroupsPerQOS                              flag
    clusterDNS                                 [text]
    clusterDomain                              text
    configMapAndSecretChangeDetectionStrategy  text
    containerLogMaxFiles                       whole
    containerLogMaxSize                        text
    containerLogMaxWorkers                     whole              21-
    containerLogMonitorInterval                duration           21-
    containerRuntimeEndpoint                   text               21-
    contentType                                text
    cpuCFSQuota                                flag
    cpuCFSQuotaPeriod                          duration
    cpuManagerPolicy                           text
    cpuManagerPolicyOptions                    {text}             21-
    cpuManagerReconcilePeriod                  duration
    crashLoopBackOff                           anything           21-
    enableContentionProfiling                  flag
    enableControllerAttachDetach               flag
    enableDebugFlagsHandler                    flag               21-
    enableDebuggingHandlers                    flag
    enableProfilingHandler                     flag               21-
    enableServer                               flag
    enableSystemLogHandler                     flag
    enableSystemLogQuery                       flag               21-
    enforceNodeAllocatable                     [text]
    eventBurst                                 whole
    eventRecordQPS                             whole
    evictionHard                               {text}
    evictionMaxPodGracePeriod                  whole
    evictionMinimumReclaim                     {text}
    evictionPressureTransitionPeriod           duration
    evictionSoft                               {text}
    evictionSoftGracePeriod                    {text}
    failCgroupV1                               flag               21-
    failSwapOn                                 flag
    featureGates                               {flag}
    fileCheckFrequency                         duration
    hairpinMode                                text
    healthzBindAddress                         text
    healthzPort                                whole
    httpCheckFrequency                         duration
    imageGCHighThresholdPercent                whole
    imageGCLowThresholdPercent                 whole
    imageMaximumGCAge                          duration           21-
    imageMinimumGCAge                          duration
    imagePullCredentialsVerificationPolicy     text               21-
    imageServiceEndpoint                       text               21-
    iptablesDropBit                            whole
    iptablesMasqueradeBit                      whole
    kernelMemcgNotification                    flag
    kubeAPIBurst                               whole
    kubeAPIQPS                                 whole
    kubeReserved                               {text}
    kubeReservedCgroup                         text
    kubeletCgroups                             text
    localStorageCapacityIsolation              flag               21-
    logging                                    anything
    makeIPTablesUtilChains                     flag
    maxOpenFiles                               whole
    maxParallelImagePulls                      whole              21-
    maxPods                                    whole
    memoryManagerPolicy                        text               21-
    memorySwap                                 MemorySwap         21-
    memoryThrottlingFactor                     number             21-
    mergeDefaultEvictionSettings               flag               21-
    nodeLeaseDurationSeconds                   whole
    nodeStatusMaxImages                        whole
    nodeStatusReportFrequency                  duration
    nodeStatusUpdateFrequency                  duration
    oomScoreAdj                                whole
    podCIDR                                    text
    podLogsDir                                 text               21-
    podPidsLimit                               whole
    podsPerCore                                whole
    port                                       whole
    preloadedImagesVerificationAllowlist       [text]             21-
    protectKernelDefaults                      flag
    providerID                                 text
    qosReserved                                {text}
    readOnlyPort                               whole
    registerNode                               flag               21-
    registerWithTaints                         [Taint]            21-
    registryBurst                              whole
    registryPullQPS                            whole
    reservedMemory                             [MemoryReservation]  21-
    reservedSystemCPUs                         text
    resolvConf                                 text
    rotateCertificates                         flag
    runOnce                                    flag
    runtimeRequestTimeout                      duration
    seccompDefault                             flag               21-
    serializeImagePulls                        flag
    serverTLSBootstrap                         flag
    showHiddenMetricsForVersion                text
    shutdownGracePeriod                        duration
    shutdownGracePeriodByPodPriority           [ShutdownByPriority]  21-
    shutdownGracePeriodCriticalPods            duration
    singleProcessOOMKill                       flag               21-
    staticPodPath                              text
    staticPodURL                               text
    staticPodURLHeader                         anything
    streamingConnectionIdleTimeout             duration
    syncFrequency                              duration
    systemCgroups                              text
    systemReserved                             {text}
    systemReservedCgroup                       text
    tlsCertFile                                text
    tlsCipherSuites                            [text]
    tlsMinVersion                              text
    tlsPrivateKeyFile                          text
    topologyManagerPolicy                      text
    topologyManagerPolicyOptions               {text}             21-
    topologyManagerScope                       text
    tracing                                    anything           21-
    userNamespaces                             anything           21-
    volumePluginDir                            text
    volumeStatsAggPeriod                       duration

KubeProxyConfiguration
    bindAddress                  text
    bindAddressHardFail          flag
    clientConnection             ClientConnection
    clusterCIDR                  text
    configSyncPeriod             duration
    conntrack                    Conntrack
    detectLocal                  DetectLocal        21-
    detectLocalMode              text
    enableProfiling              flag
    featureGates                 {flag}
    healthzBindAddress           text
    hostnameOverride             text
    iptables                     Iptables
    ipvs                         Ipvs
    logging                      anything           21-
    metricsBindAddress           text
    mode                         text
    nftables                     Nftables           21-
    nodePortAddresses            [text]
    oomScoreAdj                  whole
    portRange                    text
    showHiddenMetricsForVersion  text
    udpIdleTimeout               duration
    windowsRunAsService          flag               21-
    winkernel                    anything

Anonymous
    enabled                      flag

Authentication
    anonymous                    Anonymous
    webhook                      AuthenticationWebhook
    x509                         X509

AuthenticationWebhook
    cacheTTL                     duration
    enabled                      flag

Authorization
    mode                         text
    webhook                      AuthorizationWebhook

AuthorizationWebhook
    cacheAuthorizedTTL           duration
    cacheUnauthorizedTTL         duration

ClientConnection
    acceptContentTypes           text
    burst                        whole
    contentType                  text
    kubeconfig                   text
    qps                          number

Conntrack
    maxPerCore                   whole
    min                          whole
    tcpBeLiberal                 flag               21-
    tcpCloseWaitTimeout          duration
    tcpEstablishedTimeout        duration
    udpStreamTimeout             duration           21-
    udpTimeout                   duration           21-

DetectLocal
    bridgeInterface              text
    interfaceNamePrefix          text

Iptables
    localhostNodePorts           flag               21-
    masqueradeAll                flag
    masqueradeBit                whole
    minSyncPeriod                duration
    snatNodeInternalIP           flag               21-
    syncPeriod                   duration

Ipvs
    excludeCIDRs                 [text]
    minSyncPeriod                duration
    scheduler                    text
    strictARP                    flag
    syncPeriod                   duration
    tcpFinTimeout                duration
    tcpTimeout                   duration
    udpTimeout                   duration

MemoryReservation
    limits                       {text}
    numaNode                     whole

MemorySwap
    swapBehavior                 text

Nftables
    masqueradeAll                flag
    masqueradeBit                whole
    minSyncPeriod                duration
    syncPeriod                   duration

ShutdownByPriority
    priority                     whole
    shutdownGracePeriodSeconds   whole

Taint
    effect                       text
    key                          text
    timeAdded                    text
    value                        text

X509
    clientCAFile                 text
"""

STRUCTS = parse_table(_TABLE)
"""Structures by name; the documents' own are called as their kind."""
