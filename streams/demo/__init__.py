"""The demonstration: recorded and simulated drivers through a real Kafka to service times and predictions."""
