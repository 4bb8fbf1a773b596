// seed: the workflows of ./seeds/workflows; idempotent. The rows are in the .json file beside this one.
