{{- define "common.image" -}}{{ .repository }}:{{ .tag }}{{- end -}}
