variable "name" {
  description = "The log's name, as it was given to `aws-sequencer`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 42 of a-z, 0-9 and dash, begins with a letter and does not end with a dash."
  }
}

variable "emails" {
  description = "Who is told. Each gets a message first, and has to agree."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "Addresses of email."
  }
}

variable "node_count" {
  description = "How many nodes there are, as `aws-sequencer` gives it."
  type        = number

  validation {
    condition     = var.node_count >= 1
    error_message = "At least one."
  }
}

variable "log_group_name" {
  description = "Where messages are, as `aws-sequencer` gives it."
  type        = string
}

variable "balancer_arn_suffix" {
  description = "The balancer, as `aws-sequencer` gives it."
  type        = string
}

variable "pool_entries" {
  description = "How many entries wait before it is too many. Kiln refuses above --pool-entries, a million unless said."
  type        = number
  default     = 500000
}

variable "tags" {
  description = "Tags of all resources that have some."
  type        = map(string)
  default     = {}
}
