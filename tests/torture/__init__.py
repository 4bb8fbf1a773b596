"""Torture: the real daemon, killed, stopped and misled at seeded moments, and a judge that knows nothing of its code.

    zygote, forking   starts of the daemon that cost 0.1 s instead of 2: forks of a process that has imported it
    mishaps           death (SIGKILL) and sleep (SIGSTOP) of a daemon at a chosen commit of its store
    defects           the daemon broken on purpose, to see whether anybody notices
    script            what happens in one round, from a seed
    stand             the platform, the daemons and their topics, for a few rounds
    rounds            plays a script, settles what is left as an operator would
    evidence          what was seen, by whom; `collecting` gathers it
    judge, life, ...  findings out of evidence, by a model of their own
    exhaustive        a daemon that dies before and after each commit of one reset
    figures           what is printed, and added up over pieces

Run as `python -m tests.torture`.
"""
