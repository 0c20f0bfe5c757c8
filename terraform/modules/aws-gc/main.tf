# `kiln gc` on a schedule, as a task of its own under a role of its own. The sequencer deletes nothing, and this deletes
# nothing but partial tiles that full ones have superseded.

data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  region  = data.aws_region.current.region
  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}"
  family  = "${var.name}-gc"

  kiln_args = ["gc", var.store, "--vkey", var.vkey, "--log-format", "json", "--json"]

  ecr    = "^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com/([^@]+)@"
  in_ecr = can(regex(local.ecr, var.image)) ? [regex(local.ecr, var.image)] : []
}

resource "aws_ecs_cluster" "this" {
  name = local.family
  tags = var.tags
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.family
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  task_role_arn            = var.role_arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  container_definitions = jsonencode([{
    name                   = "gc"
    image                  = var.image
    entryPoint             = ["kiln"]
    command                = local.kiln_args
    essential              = true
    readonlyRootFilesystem = true
    user                   = "65532:65532"
    environment            = [{ name = "AWS_REGION", value = local.region }]
    linuxParameters        = { capabilities = { drop = ["ALL"] }, initProcessEnabled = true }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = "gc"
      }
    }
  }])
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/kiln/${local.family}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_security_group" "this" {
  name        = local.family
  description = "Nobody reaches gc; it reaches S3."
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "S3, CloudWatch, and where the image is"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# --- What starts it: pulls the image and writes messages, and sees no bucket. ---

resource "aws_iam_role" "execution" {
  name        = "${local.family}-execution"
  description = "Pulls the image of gc and writes its messages."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "execution" {
  name = "execution"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "WriteMessages"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${local.arn}:logs:${local.region}:${local.account}:log-group:/kiln/${local.family}:*"
      }],
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
            Resource = [for parts in local.in_ecr : "${local.arn}:ecr:${parts[1]}:${parts[0]}:repository/${parts[2]}"]
          },
        ] : statement if length(local.in_ecr) > 0
      ],
    )
  })
}

# --- When. ---

resource "aws_scheduler_schedule_group" "this" {
  name = local.family
  tags = var.tags
}

resource "aws_scheduler_schedule" "this" {
  name                = local.family
  group_name          = aws_scheduler_schedule_group.this.name
  description         = "Removes superseded partial tiles of ${var.store}"
  schedule_expression = var.schedule

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }

  target {
    arn      = aws_ecs_cluster.this.arn
    role_arn = aws_iam_role.scheduler.arn

    ecs_parameters {
      # Without a revision: the newest.
      task_definition_arn = aws_ecs_task_definition.this.arn_without_revision
      launch_type         = "FARGATE"
      propagate_tags      = "TASK_DEFINITION"

      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = [aws_security_group.this.id]
        assign_public_ip = var.public_ip
      }
    }

    # The next run is soon enough.
    retry_policy {
      maximum_retry_attempts       = 3
      maximum_event_age_in_seconds = 3600
    }
  }
}

resource "aws_iam_role" "scheduler" {
  name        = "${local.family}-scheduler"
  description = "Starts gc, and nothing else."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "start"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "StartGc"
        Effect   = "Allow"
        Action   = "ecs:RunTask"
        Resource = "${local.arn}:ecs:${local.region}:${local.account}:task-definition/${local.family}:*"
      },
      {
        Sid       = "TagIt"
        Effect    = "Allow"
        Action    = "ecs:TagResource"
        Resource  = "${local.arn}:ecs:${local.region}:${local.account}:task/${local.family}/*"
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid       = "WithItsRoles"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [var.role_arn, aws_iam_role.execution.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ]
  })
}

# --- When it fails. ---

# Kiln ends with 1 where the log is bad, and 3 where the store does not let it.
resource "aws_cloudwatch_event_rule" "failed" {
  count = var.alarms ? 1 : 0

  name        = "${local.family}-failed"
  description = "A run of gc did not end with 0"
  tags        = var.tags

  event_pattern = jsonencode({
    source        = ["aws.ecs"]
    "detail-type" = ["ECS Task State Change"]
    detail = {
      clusterArn = [aws_ecs_cluster.this.arn]
      lastStatus = ["STOPPED"]
      # One that never ran has no exit code.
      "$or" = [
        { containers = { exitCode = [{ "anything-but" = 0 }] } },
        { stopCode = [{ "anything-but" = "EssentialContainerExited" }] },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "failed" {
  count = var.alarms ? 1 : 0

  rule = aws_cloudwatch_event_rule.failed[0].name
  arn  = var.alarm_topic_arn
}

resource "aws_cloudwatch_metric_alarm" "not_started" {
  count = var.alarms ? 1 : 0

  alarm_name          = "${local.family}-not-started"
  alarm_description   = "gc could not be started. The log goes on; its partial tiles pile up."
  namespace           = "AWS/Scheduler"
  metric_name         = "TargetErrorCount"
  dimensions          = { ScheduleGroup = aws_scheduler_schedule_group.this.name }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  tags                = var.tags
}
