{{- /* The ModelCar's address: by digest when one is set, else by version. */ -}}
{{- define "model.storageUri" -}}
oci://{{ .Values.repository }}/{{ .Values.name }}{{ if .Values.digest }}@{{ .Values.digest }}{{ else }}:{{ .Values.version }}{{ end }}
{{- end -}}
