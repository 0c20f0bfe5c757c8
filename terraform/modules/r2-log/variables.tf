variable "account_id" {
  description = "The account."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.account_id))
    error_message = "An account's id is 32 hex digits."
  }
}

variable "name" {
  description = "What tokens and rules are named after."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 42 of a-z, 0-9 and dash, begins with a letter and does not end with a dash."
  }
}

variable "bucket" {
  description = "The bucket to make for the log. The log is at its root, and nothing else should be in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket has 3 to 63 of a-z, 0-9 and dash."
  }
}

variable "guard_bucket" {
  description = "The bucket to make for the guard."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.guard_bucket))
    error_message = "A bucket has 3 to 63 of a-z, 0-9 and dash."
  }

  validation {
    condition     = var.guard_bucket != var.bucket
    error_message = "The guard must be in another bucket than the log: in the same one it would go back in time with it."
  }
}

variable "location" {
  description = "Near where the buckets are to be: near the sequencer, whose rounds wait for them."
  type        = string
  default     = null

  validation {
    condition     = var.location == null || contains(["apac", "eeur", "enam", "weur", "wnam", "oc"], coalesce(var.location, "-"))
    error_message = "apac, eeur, enam, weur, wnam or oc."
  }
}

variable "jurisdiction" {
  description = "Where the buckets must stay: `default` is anywhere."
  type        = string
  default     = "default"

  validation {
    condition     = contains(["default", "eu", "fedramp"], var.jurisdiction)
    error_message = "default, eu or fedramp."
  }
}

variable "zone_id" {
  description = "The zone of `host`."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.zone_id))
    error_message = "A zone's id is 32 hex digits."
  }
}

variable "host" {
  description = "The host name of the log for its readers. It must have no record yet: the bucket's domain makes it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.host))
    error_message = "A host name alone, in lower case: no scheme, port or path."
  }
}

variable "own_zone_rules" {
  description = "Whether this module makes the zone's custom firewall rules, cache rules and response header rules. A zone has one list of each: where it has some already, take the outputs `firewall_rule`, `cache_rules` and `header_rule` into those, then say false. Without the firewall rule everybody reads private/."
  type        = bool
  default     = true
}

variable "write_permission_group_id" {
  description = "The id of Cloudflare's permission group `Workers R2 Storage Bucket Item Write`. Null: it is looked up by that name."
  type        = string
  default     = null
}
