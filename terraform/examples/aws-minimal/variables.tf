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

variable "subnet_ids" {
  description = "Two subnets or more, in as many availability zones, whose machines get public addresses."
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

variable "emails" {
  description = "Who hears of alarms."
  type        = list(string)
}
