{{- define "shop.fullname" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- define "shop.worker.image" -}}
{{- printf "%s/%s:%s" .Values.worker.image.registry .Values.worker.image.repository .Values.worker.image.tag -}}
{{- end }}
