"""The `resetd` command. It talks to the API, so it imports neither Kafka nor Kubernetes."""
