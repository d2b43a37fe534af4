{{- define "picture" -}}
{{- $other := index . 1 -}}
{{- with index . 0 -}}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}:{{ .tag | default $other }}
{{- end }}
{{- end }}
