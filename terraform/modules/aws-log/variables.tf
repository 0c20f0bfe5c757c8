variable "name" {
  description = "What the roles are named after. Lower case, as in a host name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 42 of a-z, 0-9 and dash, begins with a letter and does not end with a dash."
  }
}

variable "bucket" {
  description = "The bucket to make for the log. Nothing else should be in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket has 3 to 63 of a-z, 0-9 and dash. Dots would break its certificate."
  }
}

variable "guard_bucket" {
  description = "The bucket to make for the guard. It is in the log's region, for Kiln reads one AWS_REGION."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.guard_bucket))
    error_message = "A bucket has 3 to 63 of a-z, 0-9 and dash. Dots would break its certificate."
  }

  validation {
    condition     = var.guard_bucket != var.bucket
    error_message = "The guard must be in another bucket than the log: in the same one it would go back in time with it."
  }
}

variable "prefix" {
  description = "Where in the bucket the log is, without slashes at its ends. Empty: at the bucket's root."
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.prefix))
    error_message = "A prefix is elements of letters, digits, dash and underscore with single slashes between them."
  }
}

variable "versioning" {
  description = "Keep replaced versions of objects for `noncurrent_days`. Each round replaces the checkpoint and the head, so a busy log makes five million versions a month."
  type        = bool
  default     = false
}

variable "noncurrent_days" {
  description = "How long replaced versions are kept, where there is versioning."
  type        = number
  default     = 7

  validation {
    condition     = var.noncurrent_days >= 1 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "A whole number of days, at least one."
  }
}

variable "cloudfront_distribution_arns" {
  description = "Distributions that may read what is for readers: `checkpoint`, `log.json` and `tile/*`. Nobody else may."
  type        = list(string)
  default     = []
}

variable "sequencer_assume_role_policy" {
  description = "Who may become the sequencer, as a policy in JSON. Null: EC2 instances."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
