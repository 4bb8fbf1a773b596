// seed: the platform's sequences; idempotent. The rows are in the .json file beside this one.
