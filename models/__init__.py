"""How long the next one will take: training data, models, their proof and their predictions."""
