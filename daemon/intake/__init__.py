"""How a request comes in: records from Kafka, read as CloudEvents, made entries, stored with their offsets."""
