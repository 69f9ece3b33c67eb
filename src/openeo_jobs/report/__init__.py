"""What people look at: values of the campaign as lines of text, and as documents for programs."""
