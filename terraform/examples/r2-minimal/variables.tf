variable "account_id" {
  description = "The account."
  type        = string
}

variable "zone_id" {
  description = "The zone of `host`."
  type        = string
}

variable "name" {
  description = "What everything is named after."
  type        = string
}

variable "bucket" {
  description = "The bucket to make for the log."
  type        = string
}

variable "guard_bucket" {
  description = "The bucket to make for the guard."
  type        = string
}

variable "host" {
  description = "The host name for readers."
  type        = string
}
