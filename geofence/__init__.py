"""What happened at the customer: pure detection of visits from pings, fences and routes."""
