"""The workloads of a namespace: `lists` asks for them, `documents` reads them, `pod_templates` compares their pods."""
