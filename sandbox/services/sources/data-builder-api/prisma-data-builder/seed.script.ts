// db:seed:data-builder: version info, tags, data groups and option sets; idempotent; reads the core schema. The rows are in the .json file beside this one.
