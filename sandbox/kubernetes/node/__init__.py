"""The node: the kubelet makes each stored pod a process tree, and containers are process trees in namespaces."""
