"""The templates, as SAM CLI and CloudFormation read them."""
