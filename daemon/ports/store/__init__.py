"""The state database, split by who asks; `store` is the whole of it.

- `intake`: the intake and the API put requests and acts in.
- `leases`: the engine drives resets.
- `outbox`: the publisher takes out what waits.
- `protection`: planning and people remember what protected environments use.
- `queries`: people read.
- `restraints`: people hold resets back.
- `retention`: the pruning lets old rows go.
- `state`: the daemon's start, the marks and the health check ask about the database as a whole.
"""
