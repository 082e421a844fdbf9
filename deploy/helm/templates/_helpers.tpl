{{- define "labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "image" -}}
{{- $repository := required "image.repository is the image in your registry" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Of every pod: no token of the cluster, no root, no capability, no write to the image. */}}
{{- define "pod" -}}
serviceAccountName: {{ .Values.serviceAccountName }}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "container" -}}
image: {{ include "image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .from.name }}
      key: {{ .from.key }}
{{- end }}

{{/* The settings of a worker and of the web page. */}}
{{- define "environment" -}}
{{ include "secretEnv" (dict "name" "DATABASE_URL" "from" .Values.secrets.database) }}
{{ include "secretEnv" (dict "name" "SENSITIVE_FIELDS_KEY" "from" .Values.secrets.sensitiveFieldsKey) }}
{{- if .Values.secrets.payloadKeys.name }}
{{ include "secretEnv" (dict "name" "PAYLOAD_KEYS" "from" .Values.secrets.payloadKeys) }}
{{- end }}
- name: TEMPORAL_ADDRESS
  value: {{ required "temporal.address is host:port" .Values.temporal.address | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ .Values.temporal.namespace | quote }}
- name: TEMPORAL_TASK_QUEUE
  value: {{ .Values.temporal.taskQueue | quote }}
{{- if .Values.temporal.apiKeySecret }}
{{ include "secretEnv" (dict "name" "TEMPORAL_API_KEY" "from" (dict "name" .Values.temporal.apiKeySecret "key" "api-key")) }}
{{- end }}
{{- if .Values.temporal.tlsSecret }}
- name: TEMPORAL_TLS_CLIENT_CERT_PATH
  value: /run/temporal-tls/tls.crt
- name: TEMPORAL_TLS_CLIENT_KEY_PATH
  value: /run/temporal-tls/tls.key
{{- end }}
- name: TENANTS_FILE
  value: /run/tenants/tenants.toml
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "mounts" -}}
- name: tenants
  mountPath: /run/tenants
  readOnly: true
- name: temporary
  mountPath: /tmp
{{- if .Values.temporal.tlsSecret }}
- name: temporal-tls
  mountPath: /run/temporal-tls
  readOnly: true
{{- end }}
{{- end }}

{{- define "volumes" -}}
- name: tenants
  secret:
    secretName: {{ .root.Values.secrets.tenants }}
    defaultMode: 0440
- name: temporary
  emptyDir:
    sizeLimit: {{ .temporaryStorage }}
{{- if .root.Values.temporal.tlsSecret }}
- name: temporal-tls
  secret:
    secretName: {{ .root.Values.temporal.tlsSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}
