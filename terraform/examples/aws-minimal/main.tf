# One log, one machine that writes it, readers at CloudFront.

module "log" {
  source = "../../modules/aws-log"

  name                         = var.name
  bucket                       = var.bucket
  guard_bucket                 = var.guard_bucket
  cloudfront_distribution_arns = [module.cdn.distribution_arn]
}

module "cdn" {
  source = "../../modules/aws-cdn"

  name                        = var.name
  bucket_regional_domain_name = module.log.bucket_regional_domain_name
}

module "sequencer" {
  source = "../../modules/aws-sequencer"

  name      = var.name
  origin    = var.origin
  image     = var.image
  store     = module.log.store
  guard     = module.log.guard
  role_name = module.log.sequencer_role_name
  read_url  = module.cdn.url

  nodes = { a = { subnet_id = var.subnet_ids[0] } }

  vpc_id              = var.vpc_id
  balancer_subnet_ids = var.subnet_ids
  submission_url      = "https://${var.submission_host}"
  certificate_arn     = var.submission_certificate_arn
  submitters          = var.submitters
}

module "alarms" {
  source = "../../modules/aws-alarms"

  name                = var.name
  emails              = var.emails
  node_count          = module.sequencer.node_count
  log_group_name      = module.sequencer.log_group_name
  balancer_arn_suffix = module.sequencer.balancer_arn_suffix
}

module "gc" {
  source = "../../modules/aws-gc"

  name            = var.name
  image           = var.image
  store           = module.log.store
  vkey            = var.vkey
  role_arn        = module.log.gc_role_arn
  vpc_id          = var.vpc_id
  subnet_ids      = var.subnet_ids
  alarm_topic_arn = module.alarms.topic_arn
}
