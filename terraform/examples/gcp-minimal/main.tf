# One log, one machine that writes it, readers and submitters at one address.

module "log" {
  source = "../../modules/gcp-log"

  project      = var.project
  name         = var.name
  location     = var.region
  bucket       = var.bucket
  guard_bucket = var.guard_bucket
}

module "sequencer" {
  source = "../../modules/gcp-sequencer"

  project               = var.project
  name                  = var.name
  origin                = var.origin
  image                 = var.image
  store                 = module.log.store
  guard                 = module.log.guard
  bucket                = module.log.bucket
  service_account_email = module.log.sequencer_email
  host                  = var.host
  nodes                 = { for name, zone in var.zones : name => { zone = zone } }
  network               = var.network
  subnetwork            = var.subnetwork
  submitters            = var.submitters
  notification_channels = var.notification_channels
}

module "gc" {
  source = "../../modules/gcp-gc"

  project               = var.project
  name                  = var.name
  region                = var.region
  image                 = var.image
  store                 = module.log.store
  vkey                  = var.vkey
  service_account_email = module.log.gc_email
}
