"""The Kubernetes API double: a server process that speaks the real protocol over real processes.

`python -m sandbox.kubernetes --help` lists its arguments.

    launch, control    start the double as a process; scale, delete and provision in it
    api                the API server
    controllers        Deployments, ReplicaSets, ArgoCD, and the environments that ArgoCD makes
    faults             what goes wrong for the daemon's account while a fault is armed
    node               makes a pod a process tree: kubelet, containers, and `init`, which is PID 1 in each
    objects            the stored API objects

Each module's docstring says where the module differs from a real cluster.
"""
