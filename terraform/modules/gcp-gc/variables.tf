variable "project" {
  description = "The project of everything."
  type        = string
}

variable "name" {
  description = "What everything is named after."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,17}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 19 of a-z, 0-9 and dash, begins with a letter and does not end with a dash."
  }
}

variable "region" {
  description = "Where runs take place."
  type        = string
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
  description = "The log's STORE, as `gcp-log` gives it."
  type        = string

  validation {
    condition     = can(regex("^gs://[a-z0-9][a-z0-9._-]+$", var.store))
    error_message = "A store is gs://bucket."
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

variable "service_account_email" {
  description = "The service account of gc, as `gcp-log` gives it: it may delete partial tiles and nothing else."
  type        = string
}

variable "schedule" {
  description = "How often, as cron has it, in UTC. Each run lists the tiles, a request for each thousand."
  type        = string
  default     = "17 */6 * * *"

  validation {
    condition     = length(split(" ", var.schedule)) == 5
    error_message = "Five fields, as cron has them."
  }
}
