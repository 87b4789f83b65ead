"""Who may say that it is which pump, or which part of the service? Certificates, and what brokers make of them."""
