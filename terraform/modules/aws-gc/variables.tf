variable "name" {
  description = "What everything is named after."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 42 of a-z, 0-9 and dash, begins with a letter and does not end with a dash."
  }
}

variable "image" {
  description = "The image with `kiln` in its PATH, named by digest: what runs is what was reviewed."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9./:_-]*@sha256:[0-9a-f]{64}$", var.image))
    error_message = "An image is named by its digest: registry/name@sha256:... A tag can be moved."
  }
}

variable "store" {
  description = "The log's STORE, as `aws-log` gives it."
  type        = string

  validation {
    condition     = can(regex("^s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9._-]+)*$", var.store))
    error_message = "A store is s3://bucket or s3://bucket/prefix, without a slash at its end."
  }
}

variable "vkey" {
  description = "The log's verifier key, as `kiln key new` or `kiln vkey` prints it: gc goes by a checkpoint that this key signed."
  type        = string

  validation {
    condition     = can(regex("^[^ +]+\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]+=*$", var.vkey))
    error_message = "A vkey is name+key ID+key, such as example.com/log+a42c1ca4+Aazc..."
  }
}

variable "role_arn" {
  description = "The role of gc, as `aws-log` gives it: it may delete partial tiles and nothing else."
  type        = string
}

variable "schedule" {
  description = "How often. Each run lists the tiles, a request for each thousand, and takes a minute and what it has to remove."
  type        = string
  default     = "rate(6 hours)"

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.schedule))
    error_message = "rate(...) or cron(...), as EventBridge Scheduler takes it."
  }
}

variable "architecture" {
  description = "What the image is built for."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "ARM64 or X86_64."
  }
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Where runs may take place."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "At least one subnet."
  }
}

variable "public_ip" {
  description = "Whether a run has a public address. Without, the subnets need another way to S3, CloudWatch, and where the image is."
  type        = bool
  default     = true
}

variable "alarm_topic_arn" {
  description = "Where it is said that a run failed, or could not be started, as `aws-alarms` gives it."
  type        = string
  default     = null
}

variable "alarms" {
  description = "Whether failed runs are told to `alarm_topic_arn`. A value of its own, since the topic may not be known before it is made."
  type        = bool
  default     = true

  validation {
    condition     = !var.alarms || var.alarm_topic_arn != null
    error_message = "Alarms need an alarm_topic_arn."
  }
}

variable "log_retention_days" {
  description = "How long messages are kept."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Tags of all resources that have some."
  type        = map(string)
  default     = {}
}
