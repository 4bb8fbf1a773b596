// seed: core entities and UI component definitions; idempotent. The rows are in the .json file beside this one.
