"""From and to Kafka, files and people: everything that knows the time or touches the world."""
