"""The command `resetd`.

Most verbs call the daemon's API. The few that work without a running daemon load what they need when they are called.
So no other verb waits for the clients of Kafka, Kubernetes or databases to load.
"""
