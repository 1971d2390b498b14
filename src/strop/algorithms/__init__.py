"""One file each: pure loss functions and one final class. The only code that changes a policy's parameters."""
