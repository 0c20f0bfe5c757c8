variable "name" {
  description = "What the distribution's parts are named after."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 42 of a-z, 0-9 and dash, begins with a letter and does not end with a dash."
  }
}

variable "bucket_regional_domain_name" {
  description = "The log's bucket, as `aws-log` gives it."
  type        = string
}

variable "prefix" {
  description = "Where in the bucket the log is, as it was given to `aws-log`."
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.prefix))
    error_message = "A prefix is elements of letters, digits, dash and underscore with single slashes between them."
  }
}

variable "domain_names" {
  description = "The host names of the log for its readers. None: the one that CloudFront chooses."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.domain_names : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", name))])
    error_message = "A host name alone, in lower case: no scheme, port or path."
  }
}

variable "certificate_arn" {
  description = "The certificate for `domain_names`, in us-east-1, where CloudFront looks for it."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "CloudFront takes certificates of us-east-1 alone."
  }

  validation {
    condition     = (var.certificate_arn == null) == (length(var.domain_names) == 0)
    error_message = "Host names of one's own need a certificate, and a certificate host names."
  }
}

variable "checkpoint_seconds" {
  description = "How long an edge may answer from its copy of the checkpoint. Readers see new entries so much later."
  type        = number
  default     = 1

  validation {
    condition     = var.checkpoint_seconds >= 0 && var.checkpoint_seconds <= 5
    error_message = "Between 0 and 5 seconds."
  }
}

variable "price_class" {
  description = "Which edges serve the log."
  type        = string
  default     = "PriceClass_100"

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "web_acl_arn" {
  description = "A web ACL (WAFv2, of CLOUDFRONT scope) for the readers, if any. Its price is by requests."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of all resources that have some."
  type        = map(string)
  default     = {}
}
