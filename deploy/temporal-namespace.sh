#!/bin/sh
# Makes the namespace and its search attributes; nothing happens where they exist already.
set -eu

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 30d

for attribute in TenantId=Keyword TenantName=Keyword Selection=Keyword SelectionHash=Keyword RunStatus=Keyword ErrorCodes=KeywordList; do
  temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
    --name "${attribute%=*}" --type "${attribute#*=}" || echo "${attribute%=*} exists already"
done
