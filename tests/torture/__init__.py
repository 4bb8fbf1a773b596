"""Torture: the real daemon, killed, stopped and misled at seeded moments, and a judge that knows nothing of its code.

    daemons       how daemons are started (forks that take 0.1 s instead of 2), killed or stopped at a commit of their
                  store, and broken on purpose
    script        what happens in one round, from a seed
    stand         the platform, the daemons and their topics for a few rounds; the operator; the gathering of evidence
    judge         findings out of evidence, by a model of its own
    rounds        plays a script, and settles what is left as an operator would
    session       many rounds on one platform
    exhaustive    a daemon that dies before and after each commit of one reset
    sleepers      daemons that sleep past their lease, and how soon another one takes over
    figures       what is printed, and added up over pieces

Run as `python -m tests.torture`.
"""
