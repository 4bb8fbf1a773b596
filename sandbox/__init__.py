"""The local double of the whole platform: Kafka, PostgreSQL, Kubernetes, GitHub and six small services."""
