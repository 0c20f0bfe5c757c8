# Who may do what:
#
#                 checkpoint, log.json   tile/*               partial tiles   private/*   the guard
#   sequencer     read, replace          read, create         read, create    read, replace   read, replace
#   gc            read checkpoint        read                 read, delete    -           -
#   CDN           read                   read                 read            -           -
#   anybody else, with whatever rights in this account: no delete, and no write that is not conditional
#
# The names of objects are those of docs/architecture.md, "What stands in a bucket".

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  arn       = "arn:${data.aws_partition.current.partition}:s3:::"
  log_arn   = "${local.arn}${var.bucket}"
  guard_arn = "${local.arn}${var.guard_bucket}"
  root      = "${local.log_arn}/${var.prefix == "" ? "" : "${var.prefix}/"}"

  checkpoint  = "${local.root}checkpoint"
  description = "${local.root}log.json"
  tiles       = "${local.root}tile/*"
  # `*` reaches over slashes. No full tile has `.p/` in its name.
  partial_tiles = "${local.root}tile/*.p/*"
  private       = "${local.root}private/*"
  guards        = "${local.guard_arn}/*"

  # Where a session is, aws:PrincipalArn is the role.
  gc_role_arn = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/${var.name}-gc"
}

# --- The sequencer: reads, creates, replaces, and deletes nothing. ---

resource "aws_iam_role" "sequencer" {
  name        = "${var.name}-sequencer"
  description = "Writes the log in ${var.bucket}, and deletes nothing."
  tags        = var.tags

  assume_role_policy = coalesce(var.sequencer_assume_role_policy, jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  }))
}

locals {
  sequencer_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadAndWriteObjects"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = [local.checkpoint, local.description, local.tiles, local.private, local.guards]
      },
      {
        # Without it S3 answers 403 for an object that is not there. It must not have a condition on s3:prefix, which
        # the request of an object does not have.
        Sid      = "TellMissingFromForbidden"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = [local.log_arn, local.guard_arn]
      },
      {
        # Whatever else somebody attaches to this role.
        Sid    = "NeverMore"
        Effect = "Deny"
        Action = [
          "s3:BypassGovernanceRetention",
          "s3:Delete*",
          "s3:PutBucket*",
          "s3:PutEncryptionConfiguration",
          "s3:PutLifecycleConfiguration",
          "s3:PutObjectAcl",
          "s3:PutReplicationConfiguration",
        ]
        Resource = "*"
      },
    ]
  }
}

resource "aws_iam_role_policy" "sequencer" {
  name   = "log"
  role   = aws_iam_role.sequencer.id
  policy = jsonencode(local.sequencer_policy)
}

# --- `kiln gc`: reads what readers read, and deletes partial tiles. ---

resource "aws_iam_role" "gc" {
  name        = "${var.name}-gc"
  description = "Deletes superseded partial tiles of the log in ${var.bucket}, and nothing else."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

locals {
  gc_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [local.checkpoint, local.tiles]
      },
      {
        Sid      = "List"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.log_arn
      },
      {
        Sid      = "DeletePartialTiles"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = local.partial_tiles
      },
      {
        Sid         = "AndNothingElse"
        Effect      = "Deny"
        Action      = "s3:Delete*"
        NotResource = local.partial_tiles
      },
      {
        Sid      = "NeverWrite"
        Effect   = "Deny"
        Action   = "s3:Put*"
        Resource = "*"
      },
    ]
  }
}

resource "aws_iam_role_policy" "gc" {
  name   = "log"
  role   = aws_iam_role.gc.id
  policy = jsonencode(local.gc_policy)
}

# --- The buckets: append-only, for everybody. ---

locals {
  everybody = { AWS = "*" }

  encrypted_only = {
    for key, arn in { log = local.log_arn, guard = local.guard_arn } : key => {
      Sid                 = "EncryptedRequestsOnly"
      Effect              = "Deny"
      Principal           = local.everybody
      Action              = "s3:*"
      Resource            = [arn, "${arn}/*"]
      Condition           = { Bool = { "aws:SecureTransport" = "false" } }
    }
  }

  # Conditions within one operator must all hold: neither header is there. That refuses multipart uploads and copies
  # too, which Kiln never makes.
  conditional_only = {
    for key, arn in { log = local.log_arn, guard = local.guard_arn } : key => {
      Sid                 = "ConditionalWritesOnly"
      Effect              = "Deny"
      Principal           = local.everybody
      Action              = "s3:PutObject"
      Resource            = "${arn}/*"
      Condition           = { Null = { "s3:if-none-match" = "true", "s3:if-match" = "true" } }
    }
  }

  readers = {
    Sid       = "ReadersByCloudFront"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = "s3:GetObject"
    Resource  = [local.checkpoint, local.description, local.tiles]
    Condition = { StringEquals = { "aws:SourceArn" = var.cloudfront_distribution_arns } }
  }

  # So that a tile that is not there is 404, which clients expect, and not 403. The distribution must have a root
  # object: without one, GET / would list the bucket.
  missing_is_404 = {
    Sid       = "MissingIsNotForbidden"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = "s3:ListBucket"
    Resource  = local.log_arn
    Condition = { StringEquals = { "aws:SourceArn" = var.cloudfront_distribution_arns } }
  }

  log_statements = [
    local.encrypted_only["log"],
    local.conditional_only["log"],
    {
      # S3 knows one value of this header, `*`: create, never replace.
      Sid       = "TilesAreCreatedNeverReplaced"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:PutObject"
      Resource  = local.tiles
      Condition = { Null = { "s3:if-none-match" = "true" } }
    },
    {
      Sid         = "NothingIsDeletedButPartialTiles"
      Effect      = "Deny"
      Principal   = local.everybody
      Action      = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
      NotResource = local.partial_tiles
    },
    {
      Sid       = "PartialTilesByGcAlone"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
      Resource  = local.partial_tiles
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = local.gc_role_arn } }
    },
  ]

  guard_statements = [
    local.encrypted_only["guard"],
    local.conditional_only["guard"],
    {
      Sid       = "NothingIsDeleted"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
      Resource  = local.guards
    },
    {
      # A right to the log is no right to its guard.
      Sid       = "GcStaysOut"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:*"
      Resource  = [local.guard_arn, local.guards]
      Condition = { ArnEquals = { "aws:PrincipalArn" = local.gc_role_arn } }
    },
  ]

  bucket_policies = {
    log = {
      Version   = "2012-10-17"
      Statement = concat(local.log_statements, [for s in [local.readers, local.missing_is_404] : s if length(var.cloudfront_distribution_arns) > 0])
    }
    guard = {
      Version   = "2012-10-17"
      Statement = local.guard_statements
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  policy = jsonencode(local.bucket_policies[each.key])

  depends_on = [aws_s3_bucket_public_access_block.this]
}
