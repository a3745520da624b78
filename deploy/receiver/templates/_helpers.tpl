{{- define "receiver.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "receiver.fullname" -}}
{{- $name := include "receiver.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "receiver.selector" -}}
app.kubernetes.io/name: {{ include "receiver.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "receiver.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "receiver.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: receiver
app.kubernetes.io/part-of: roadie
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "receiver.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "receiver.fullname" .) }}
{{- else -}}
{{ required "serviceAccount.name: name the account, or set serviceAccount.create to true" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- /* By digest when there is one, for a tag can be moved; never `latest`. */ -}}
{{- define "receiver.image" -}}
{{- $repository := required "image.repository: name the repository that you pushed Roadie's image to" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* Where the runs are: the profile's namespace, or the release's. */ -}}
{{- define "receiver.runsNamespace" -}}
{{ (.Values.config.runs).namespace | default .Release.Namespace }}
{{- end -}}

{{- /* triggers.yaml: what `config` says, and what the chart alone can know. */ -}}
{{- define "receiver.config" -}}
{{- if not .Values.config.hooks -}}
{{- fail "config.hooks: name at least one sender and its secret; the receiver listens to nobody else" -}}
{{- end -}}
{{- if not .Values.config.models -}}
{{- fail "config.models: name at least one model; there is nothing to start otherwise" -}}
{{- end -}}
{{- $ours := dict
  "journal" "/var/lib/roadie/journal.db"
  "listen" (dict "host" "0.0.0.0" "port" 8080)
  "runs" (dict "state" "/var/lib/roadie")
-}}
{{- mergeOverwrite (deepCopy .Values.config) $ours | toYaml -}}
{{- end -}}
