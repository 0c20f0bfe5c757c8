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

variable "origin" {
  description = "The log's origin, which is for ever."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]{1,255}$", var.origin)) && !can(regex("://|/$", var.origin))
    error_message = "An origin is a name such as example.com/log: no scheme, no slash at its end, at most 255 bytes."
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
  description = "The log's STORE, as `gcp-log` gives it."
  type        = string

  validation {
    condition     = can(regex("^gs://[a-z0-9][a-z0-9._-]+$", var.store))
    error_message = "A store is gs://bucket."
  }
}

variable "guard" {
  description = "Where the guard stands, as `gcp-log` gives it: in another bucket than the store."
  type        = string

  validation {
    condition     = can(regex("^gs://[a-z0-9][a-z0-9._-]+$", var.guard))
    error_message = "A guard is gs://bucket."
  }
}

variable "bucket" {
  description = "The log's bucket, for the CDN to read its tiles; they have to be public."
  type        = string
}

variable "service_account_email" {
  description = "The service account of the sequencer, as `gcp-log` gives it. What its nodes need beside the buckets is added here."
  type        = string
}

variable "host" {
  description = "The host name of the log, for readers and submitters. Its record is to point at the output `address` before the certificate can be made."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.host))
    error_message = "A host name alone, in lower case: no scheme, port or path."
  }
}

variable "nodes" {
  description = "The machines that may write the log, by name. With two or more, one writes and the others stand by. `image` is of this node alone: to roll one out, give it to those that stand by, apply, wait until they are ready, then to the one that writes."
  type = map(object({
    zone  = string
    image = optional(string)
  }))

  validation {
    condition     = length(var.nodes) >= 1 && alltrue([for name, _ in var.nodes : can(regex("^[a-z0-9]{1,8}$", name))])
    error_message = "At least one node; its name has one to eight of a-z and 0-9."
  }

  validation {
    condition     = alltrue([for node in var.nodes : node.image == null || can(regex("^[a-z0-9][a-z0-9./:_-]*@sha256:[0-9a-f]{64}$", node.image))])
    error_message = "An image is named by its digest: registry/name@sha256:... A tag can be moved."
  }
}

variable "machine_type" {
  description = "The machine. Kiln uses some 30 microseconds of CPU an entry, so the smallest do; see the cost of logs in terraform/README.md."
  type        = string
  default     = "e2-small"
}

variable "cache_gib" {
  description = "The disk of each node's dedup index: 40 bytes an entry, twice that while it is merged. 20 GiB hold 250 million entries."
  type        = number
  default     = 20

  validation {
    condition     = var.cache_gib >= 10 && floor(var.cache_gib) == var.cache_gib
    error_message = "A whole number of GiB, at least 10."
  }
}

variable "interval" {
  description = "The time between two rounds, a second at least: Google takes about one write a second of one object."
  type        = string
  default     = "1s"

  validation {
    condition     = can(regex("^[1-9][0-9]*(s|m)$", var.interval))
    error_message = "A span of whole seconds or minutes, such as 1s or 1m."
  }
}

variable "extra_args" {
  description = "More arguments of `kiln serve`, such as `--rekor`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arg in var.extra_args : can(regex("^[A-Za-z0-9@:=,._/+-]+$", arg))])
    error_message = "Arguments without spaces, quotes or other characters that a unit file or a shell would take for its own."
  }

  validation {
    condition     = !anytrue([for arg in var.extra_args : can(regex("^--(gc|key|guard|listen|admin-listen|cache-dir|standby|origin|url|read-url|interval)\\b", arg))])
    error_message = "These are set by other variables; and --gc is not for a role that deletes no tile."
  }
}

variable "network" {
  description = "The network of the nodes."
  type        = string
}

variable "subnetwork" {
  description = "The subnetwork of the nodes. Without `external_ip` it needs Private Google Access; witnesses and registries elsewhere need Cloud NAT."
  type        = string
}

variable "external_ip" {
  description = "Whether nodes have external addresses."
  type        = bool
  default     = false
}

variable "submitters" {
  description = "The networks that may submit entries, ten at most. Kiln has no accounts: whoever gets there can add."
  type        = list(string)

  validation {
    condition     = length(var.submitters) > 0 && length(var.submitters) <= 10 && alltrue([for cidr in var.submitters : can(cidrhost(cidr, 0))])
    error_message = "One to ten networks, such as 198.51.100.0/24."
  }

  validation {
    condition     = var.anybody_may_submit || !anytrue([for cidr in var.submitters : endswith(cidr, "/0")])
    error_message = "That is the whole Internet. If you mean it, say anybody_may_submit = true."
  }
}

variable "anybody_may_submit" {
  description = "That `submitters` may be everybody."
  type        = bool
  default     = false
}

variable "requests_per_minute" {
  description = "How many submissions each address may make in a minute; above it answers are 429."
  type        = number
  default     = 6000

  validation {
    condition     = var.requests_per_minute >= 1
    error_message = "At least one."
  }
}

variable "stale_seconds" {
  description = "How long the CDN goes on to show the last checkpoint when no node answers."
  type        = number
  default     = 86400

  validation {
    condition     = var.stale_seconds >= 0 && var.stale_seconds <= 604800
    error_message = "Between 0 and 604800 seconds."
  }
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that hear of alarms."
  type        = list(string)
  default     = []
}

variable "labels" {
  description = "Labels of machines and disks."
  type        = map(string)
  default     = {}
}
