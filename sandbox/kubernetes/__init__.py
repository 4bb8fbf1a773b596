"""The Kubernetes API double: a server process that speaks the real protocol over real processes.

`python -m sandbox.kubernetes --help` lists what it takes; `server` is the door, `objects` the memory,
`workloads` the controllers, `kubelet` and `containers` what makes a pod a process tree, `init` PID 1 in it.
Where it differs from a real cluster is said in the docstring of the module that differs.
"""
