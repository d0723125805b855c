"""Tables, figures and claims from tidy results."""
