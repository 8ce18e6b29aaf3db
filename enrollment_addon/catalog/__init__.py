"""What is offered. So far: event types, the kinds of session a credit is good for."""
