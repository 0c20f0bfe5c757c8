variable "name" {
  description = "What everything is named after, and the log's name in its metrics."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 22 of a-z, 0-9 and dash, begins with a letter and does not end with a dash: a balancer's name is no longer."
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
  description = "The log's STORE, as `aws-log` gives it."
  type        = string

  validation {
    condition     = can(regex("^s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9._-]+)*$", var.store))
    error_message = "A store is s3://bucket or s3://bucket/prefix, without a slash at its end."
  }
}

variable "guard" {
  description = "Where the guard stands, as `aws-log` gives it: in another bucket than the store."
  type        = string

  validation {
    condition     = can(regex("^s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9._-]+)*$", var.guard))
    error_message = "A guard is s3://bucket or s3://bucket/prefix, without a slash at its end."
  }
}

variable "role_name" {
  description = "The role of the sequencer, as `aws-log` gives it. What its nodes need beside the buckets is added here."
  type        = string
}

variable "submission_url" {
  description = "Where submitters find the log: https:// and the name that the certificate has. It stands in log.json."
  type        = string

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+(/[A-Za-z0-9._/-]*[A-Za-z0-9])?$", var.submission_url))
    error_message = "An https:// URL without a slash at its end."
  }
}

variable "read_url" {
  description = "Where readers find the log, as `aws-cdn` gives it. It stands in log.json, and what is read there is one more voice that notices a store that went back in time."
  type        = string
  default     = null

  validation {
    condition     = var.read_url == null || can(regex("^https://[a-z0-9.-]+(/[A-Za-z0-9._/-]*[A-Za-z0-9])?$", var.read_url))
    error_message = "An https:// URL without a slash at its end."
  }
}

variable "nodes" {
  description = "The machines that may write the log, by name. With two or more, one writes and the others stand by. `image` is of this node alone: to roll one out, give it to those that stand by, apply, wait until they are ready, then to the one that writes."
  type = map(object({
    subnet_id = string
    image     = optional(string)
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

variable "instance_type" {
  description = "The machine. Kiln uses some 30 microseconds of CPU an entry, so the smallest do; see the cost of logs in terraform/README.md."
  type        = string
  default     = "t4g.small"
}

variable "architecture" {
  description = "What `instance_type` and `image` are built for."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "cache_gib" {
  description = "The volume of each node's dedup index: 40 bytes an entry, twice that while it is merged. 20 GiB hold 250 million entries."
  type        = number
  default     = 20

  validation {
    condition     = var.cache_gib >= 1 && floor(var.cache_gib) == var.cache_gib
    error_message = "A whole number of GiB."
  }
}

variable "interval" {
  description = "The time between two rounds. Each costs some seven requests of S3: at 5s a log costs a fifth of what it does at 1s."
  type        = string
  default     = "1s"

  validation {
    condition     = can(regex("^[0-9]+(ms|s|m)$", var.interval))
    error_message = "A span such as 250ms, 1s or 1m."
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
    error_message = "These are set by other variables; and --gc is not for a role that deletes nothing."
  }
}

variable "vpc_id" {
  description = "The network of the nodes and of the balancer."
  type        = string
}

variable "balancer_subnet_ids" {
  description = "The subnets of the balancer, in two availability zones at least."
  type        = list(string)

  validation {
    condition     = length(distinct(var.balancer_subnet_ids)) >= 2
    error_message = "A balancer needs two subnets, in two availability zones."
  }
}

variable "internal" {
  description = "Whether the balancer has addresses of the network alone."
  type        = bool
  default     = false
}

variable "public_ip" {
  description = "Whether nodes have public addresses. Without, their subnets need another way to S3, CloudWatch, Secrets Manager, and where the image is."
  type        = bool
  default     = true
}

variable "certificate_arn" {
  description = "The certificate of the balancer, in this region."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:", var.certificate_arn))
    error_message = "The ARN of a certificate of ACM."
  }
}

variable "submitters" {
  description = "The networks that may submit entries. Kiln has no accounts: whoever gets there can add."
  type        = list(string)

  validation {
    condition     = length(var.submitters) > 0 && alltrue([for cidr in var.submitters : can(cidrhost(cidr, 0))])
    error_message = "At least one network, such as 198.51.100.0/24."
  }

  validation {
    condition     = var.anybody_may_submit || !anytrue([for cidr in var.submitters : endswith(cidr, "/0")])
    error_message = "That is the whole Internet. If you mean it, say anybody_may_submit = true, and limit rates with web_acl_arn."
  }
}

variable "anybody_may_submit" {
  description = "That `submitters` may be everybody."
  type        = bool
  default     = false
}

variable "web_acl_arn" {
  description = "A web ACL (WAFv2, REGIONAL) before submissions, if any: to limit rates, for one. At 1,000 entries a second, one a request, it costs more than all the rest."
  type        = string
  default     = null
}

variable "access_log_bucket" {
  description = "A bucket that takes the balancer's access logs, if any: who submitted, and when."
  type        = string
  default     = null
}

variable "http_version_to_nodes" {
  description = "What the balancer speaks with the nodes. HTTP1 takes a connection for each entry that waits, and any client. HTTP2 shares few, and takes clients that speak HTTP/2 alone."
  type        = string
  default     = "HTTP1"

  validation {
    condition     = contains(["HTTP1", "HTTP2"], var.http_version_to_nodes)
    error_message = "HTTP1 or HTTP2."
  }
}

variable "deletion_protection" {
  description = "Whether the balancer refuses to be deleted."
  type        = bool
  default     = true
}

variable "session_manager" {
  description = "Whether operators get to nodes by Session Manager. Nodes have no SSH."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "A KMS key for the secret that holds the log's key. Null: the account's own for Secrets Manager."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "How long messages are kept."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
