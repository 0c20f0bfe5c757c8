variable "project" {
  description = "The project of everything."
  type        = string
}

variable "region" {
  description = "The region of the buckets, of gc, and of the nodes."
  type        = string
}

variable "zones" {
  description = "The zone of each node, by the node's name. One node, or more of which all but one stand by."
  type        = map(string)
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

variable "network" {
  description = "The network of the nodes."
  type        = string
}

variable "subnetwork" {
  description = "Their subnetwork, which has Private Google Access."
  type        = string
}

variable "host" {
  description = "The host name for readers and submitters."
  type        = string
}

variable "submitters" {
  description = "The networks that may submit entries."
  type        = list(string)
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that hear of alarms."
  type        = list(string)
}
