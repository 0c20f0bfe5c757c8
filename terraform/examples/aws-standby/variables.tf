variable "region" {
  description = "The region of everything but CloudFront."
  type        = string
}

variable "name" {
  description = "What everything is named after."
  type        = string
}

variable "origin" {
  description = "The log's origin, which is for ever."
  type        = string
}

variable "vkey" {
  description = "The log's verifier key, as `kiln key new` printed it."
  type        = string
}

variable "image" {
  description = "The image with `kiln` in its PATH, named by digest."
  type        = string
}

variable "next_image" {
  description = "The image that is being rolled out, on the nodes of `upgraded`."
  type        = string
  default     = null
}

variable "upgraded" {
  description = "Nodes that have `next_image` already: first those that stand by, at last the one that writes."
  type        = set(string)
  default     = []
}

variable "bucket" {
  description = "The bucket to make for the log."
  type        = string
}

variable "guard_bucket" {
  description = "The bucket to make for the guard."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "node_subnet_ids" {
  description = "A private subnet for each node, by the node's name: they need a way out (NAT, or endpoints) to Secrets Manager, CloudWatch and the registry, and a gateway endpoint of S3."
  type        = map(string)
}

variable "balancer_subnet_ids" {
  description = "Public subnets for the balancer, in two availability zones at least."
  type        = list(string)
}

variable "submission_host" {
  description = "The host name for submitters."
  type        = string
}

variable "submission_certificate_arn" {
  description = "Its certificate, in this region."
  type        = string
}

variable "submitters" {
  description = "The networks that may submit entries."
  type        = list(string)
}

variable "read_host" {
  description = "The host name for readers."
  type        = string
}

variable "read_certificate_arn" {
  description = "Its certificate, in us-east-1."
  type        = string
}

variable "zone_id" {
  description = "The zone of Route 53 that both host names are in."
  type        = string
}

variable "emails" {
  description = "Who hears of alarms."
  type        = list(string)
}
