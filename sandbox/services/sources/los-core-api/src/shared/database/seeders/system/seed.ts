// seed:system, REQUIRED: roles, permissions and queues; idempotent. The rows are in the .json file beside this one.
