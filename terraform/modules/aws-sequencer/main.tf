# Machines that write the log, one at a time: each has a volume of its own for the dedup index, so that a start takes
# seconds and not a reading of the whole log. What keeps two of them apart is the head in the bucket, not anything here.
#
# No group scales them and no orchestrator kills them. EC2 recovers an instance whose host fails, systemd restarts a
# process that ends, and the balancer goes by /readyz, which is green on the one that writes.

data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

data "aws_ssm_parameter" "ami" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
}

data "aws_subnet" "node" {
  for_each = var.nodes

  id = each.value.subnet_id
}

locals {
  region     = data.aws_region.current.region
  admin_port = 9090
  port       = 8080
  cache      = "/var/lib/kiln"

  # The command line that docs/cli.md describes.
  kiln_args = concat(
    [
      "serve", var.store,
      "--origin", var.origin,
      "--listen", "0.0.0.0:${local.port}",
      "--admin-listen", "127.0.0.1:${local.admin_port}",
      "--url", var.submission_url,
      "--key", "/run/kiln/key",
      "--guard", var.guard,
      "--cache-dir", "${local.cache}/dedup",
      "--interval", var.interval,
      "--log-format", "json",
    ],
    var.read_url == null ? [] : ["--read-url", var.read_url],
    length(var.nodes) > 1 ? ["--standby"] : [],
    var.extra_args,
  )

  images = { for name, node in var.nodes : name => coalesce(node.image, var.image) }

  # Those in ECR need somebody to sign in: account, region and repository of each.
  in_ecr     = distinct([for image in values(local.images) : regex(local.ecr, image) if can(regex(local.ecr, image))])
  ecr        = "^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com/([^@]+)@"
  registries = [for parts in local.in_ecr : "${parts[0]}.dkr.ecr.${parts[1]}.amazonaws.com"]

  docker_args = {
    for name, _ in var.nodes : name => [
      "--rm",
      "--name", "kiln",
      "--network", "host",
      "--read-only",
      "--user", "65532:65532",
      "--cap-drop", "ALL",
      "--security-opt", "no-new-privileges",
      "--ulimit", "nofile=65536",
      # A CloudWatch that does not answer must not stop a log.
      "--log-driver", "awslogs",
      "--log-opt", "mode=non-blocking",
      "--log-opt", "awslogs-region=${local.region}",
      "--log-opt", "awslogs-group=${aws_cloudwatch_log_group.this.name}",
      "--log-opt", "awslogs-stream=${name}",
      "--volume", "${local.cache}:${local.cache}",
      "--volume", "/run/kiln:/run/kiln:ro",
      "--env", "AWS_REGION=${local.region}",
      "--entrypoint", "kiln",
    ]
  }

  folder = "/usr/local/lib/kiln"

  user_data = {
    for name, _ in var.nodes : name => {
      write_files = concat(
        [
          for script in ["prepare", "fetch-key", "publish-metrics"] :
          { path = "${local.folder}/${script}", permissions = "0755", content = file("${path.module}/node/${script}") }
        ],
        [
          for unit in ["kiln-metrics.service", "kiln-metrics.timer"] :
          { path = "/etc/systemd/system/${unit}", permissions = "0644", content = file("${path.module}/node/${unit}") }
        ],
        [
          {
            path        = "/etc/systemd/system/kiln.service"
            permissions = "0644"
            content = templatefile("${path.module}/node/kiln.service.tftpl", {
              origin = var.origin
              image  = local.images[name]
              docker = local.docker_args[name]
              kiln   = local.kiln_args
            })
          },
          {
            path        = "/etc/kiln/node.env"
            permissions = "0644"
            content = join("", [
              for key, value in {
                ADMIN_PORT = local.admin_port
                AWS_REGION = local.region
                KEY_SECRET = aws_secretsmanager_secret.key.arn
                LOG_NAME   = var.name
                VOLUME_ID  = aws_ebs_volume.cache[name].id
              } : "${key}=${value}\n"
            ])
          },
          {
            path        = "/etc/kiln/docker/config.json"
            permissions = "0644"
            content     = jsonencode({ credHelpers = { for registry in local.registries : registry => "ecr-login" } })
          },
        ],
      )
      runcmd = [["${local.folder}/prepare"]]
    }
  }
}

# --- The nodes ---

resource "aws_iam_instance_profile" "this" {
  name = "${var.name}-sequencer"
  role = var.role_name
  tags = var.tags
}

resource "aws_ebs_volume" "cache" {
  for_each = var.nodes

  availability_zone = data.aws_subnet.node[each.key].availability_zone
  size              = var.cache_gib
  type              = "gp3"
  encrypted         = true
  tags              = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_instance" "node" {
  for_each = var.nodes

  ami                         = data.aws_ssm_parameter.ami.insecure_value
  instance_type               = var.instance_type
  subnet_id                   = each.value.subnet_id
  vpc_security_group_ids      = [aws_security_group.node.id]
  associate_public_ip_address = var.public_ip
  iam_instance_profile        = aws_iam_instance_profile.this.name
  ebs_optimized               = true
  user_data                   = "#cloud-config\n${yamlencode(local.user_data[each.key])}"
  user_data_replace_on_change = true
  tags                        = merge(var.tags, { Name = "${var.name}-${each.key}" })

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
  }

  maintenance_options {
    auto_recovery = "default"
  }

  # A new image of the system is no reason to stop a log: replace a node when you choose to (-replace).
  lifecycle {
    ignore_changes = [ami]
  }
}

resource "aws_volume_attachment" "cache" {
  for_each = var.nodes

  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.cache[each.key].id
  instance_id                    = aws_instance.node[each.key].id
  stop_instance_before_detaching = true
}

# --- The log's key ---

# Its value is never in terraform's state: it is put there once, by hand; see the output `put_key`.
resource "aws_secretsmanager_secret" "key" {
  name                    = "kiln/${var.name}/key"
  description             = "The secret key of the log ${var.origin}. A log whose key is lost has ended."
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = 30
  tags                    = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

# --- What nodes may do beside the buckets ---

resource "aws_cloudwatch_log_group" "this" {
  name              = "/kiln/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

locals {
  logs_arn = "arn:${data.aws_partition.current.partition}:logs:${local.region}:${data.aws_caller_identity.current.account_id}:log-group:/kiln/${var.name}"

  node_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "ReadTheKey"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = aws_secretsmanager_secret.key.arn
        },
        {
          Sid      = "WriteMessages"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${local.logs_arn}:*"
        },
        {
          Sid       = "PublishMetrics"
          Effect    = "Allow"
          Action    = "cloudwatch:PutMetricData"
          Resource  = "*"
          Condition = { StringEquals = { "cloudwatch:namespace" = "Kiln" } }
        },
      ],
      [
        for key_arn in [var.kms_key_arn] : {
          Sid      = "DecryptTheKey"
          Effect   = "Allow"
          Action   = "kms:Decrypt"
          Resource = key_arn
        } if key_arn != null
      ],
      [
        for statement in [
          {
            Sid      = "SignInToTheRegistry"
            Effect   = "Allow"
            Action   = ["ecr:GetAuthorizationToken"]
            Resource = ["*"]
          },
          {
            Sid      = "PullTheImage"
            Effect   = "Allow"
            Action   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
            Resource = local.repositories
          },
        ] : statement if length(local.in_ecr) > 0
      ],
    )
  }

  repositories = [
    for parts in local.in_ecr :
    "arn:${data.aws_partition.current.partition}:ecr:${parts[1]}:${parts[0]}:repository/${parts[2]}"
  ]
}

resource "aws_iam_role_policy" "node" {
  name   = "node"
  role   = var.role_name
  policy = jsonencode(local.node_policy)
}

resource "aws_iam_role_policy_attachment" "session_manager" {
  count = var.session_manager ? 1 : 0

  role       = var.role_name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}
