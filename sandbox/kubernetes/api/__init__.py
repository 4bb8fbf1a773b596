"""The API server: `requests` decodes, `resources` answers the verbs, `streams` carries execs, logs and watches."""
