variable "project" {
  description = "The project of everything."
  type        = string
}

variable "name" {
  description = "What the service accounts and the custom role are named after."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,17}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 19 of a-z, 0-9 and dash, begins with a letter and does not end with a dash: a service account's name is no longer."
  }
}

variable "location" {
  description = "Where the buckets are: a region, a dual-region or a multi-region."
  type        = string
}

variable "bucket" {
  description = "The bucket to make for the log. Nothing else should be in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket has 3 to 63 of a-z, 0-9, dash and underscore."
  }
}

variable "guard_bucket" {
  description = "The bucket to make for the guard."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.guard_bucket))
    error_message = "A bucket has 3 to 63 of a-z, 0-9, dash and underscore."
  }

  validation {
    condition     = var.guard_bucket != var.bucket
    error_message = "The guard must be in another bucket than the log: in the same one it would go back in time with it."
  }
}

variable "public_tiles" {
  description = "Whether everybody may read what is below `tile/`, as a CDN has to. No other object is ever public."
  type        = bool
  default     = true
}

variable "soft_delete_seconds" {
  description = "How long replaced and deleted objects are kept: 0, or a week and more. Each round replaces the checkpoint and the head, so a busy log would pay for terabytes."
  type        = number
  default     = 0

  validation {
    condition     = var.soft_delete_seconds == 0 || (var.soft_delete_seconds >= 604800 && var.soft_delete_seconds <= 7776000)
    error_message = "0, or between 604800 and 7776000."
  }
}

variable "labels" {
  description = "Labels of the buckets."
  type        = map(string)
  default     = {}
}
