"""Small templates that show what the emulated AWS does (test_stand_ins.py)."""

RELEASE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Release: {Type: String}
  Before: {Type: String, Default: Succeeded}
  After: {Type: String, Default: Succeeded}
  Broken: {Type: String, Default: "no"}
  Managed: {Type: String, Default: ""}
  Warm: {Type: String, Default: "no"}
Conditions:
  IsBroken: !Equals [!Ref Broken, "yes"]
  IsWarm: !Equals [!Ref Warm, "yes"]
  HasPolicy: !Not [!Equals [!Ref Managed, ""]]
Globals:
  Function: {Runtime: python3.13, Handler: index.handler, Timeout: 2}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: codedeploy.amazonaws.com}, Action: sts:AssumeRole}]
      ManagedPolicyArns: !If [HasPolicy, [!Ref Managed], !Ref AWS::NoValue]
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: test
      MetricName: errors
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
  Gate:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 20
      Environment: {Variables: {ANSWERS: !Sub "${Before} ${After}"}}
      InlineCode: |
        import os, boto3
        def handler(event, context):
            api, one = boto3.client("codedeploy"), {"deploymentId": event["DeploymentId"]}
            target = api.get_deployment_target(**one, targetId="x")["deploymentTarget"]["lambdaTarget"]
            moved = target["lifecycleEvents"][1]["status"] == "Succeeded"
            status, execution = os.environ["ANSWERS"].split()[moved], event["LifecycleEventHookExecutionId"]
            if status != "none":
                api.put_lifecycle_event_hook_execution_status(
                    **one, lifecycleEventHookExecutionId=execution, status=status)
  Api:
    Type: AWS::Serverless::Function
    DependsOn: Gate
    Properties:
      AutoPublishAlias: live
      AutoPublishCodeSha256: !Ref Release
      Environment: {Variables: {RELEASE: !Ref Release}}
      ProvisionedConcurrencyConfig: !If [IsWarm, {ProvisionedConcurrentExecutions: 1}, !Ref AWS::NoValue]
      DeploymentPreference:
        Type: AllAtOnce
        Role: !GetAtt Role.Arn
        Alarms: [!Ref Alarm]
        Hooks: {PreTraffic: !Ref Gate, PostTraffic: !Ref Gate}
      Events:
        Any: {Type: HttpApi}
      InlineCode: |
        import os, time
        def handler(event, context):
            time.sleep(event.get("seconds", 0))
            return {"version": context.function_version, **os.environ}
  Last:
    Type: AWS::SNS::Topic
    DependsOn: ApiAliaslive
    Condition: IsBroken
    Properties: {TopicName: !ImportValue nothing}
Outputs:
  Function: {Value: !Ref Api}
  Alias: {Value: !Ref Api.Alias}
  Alarm: {Value: !Ref Alarm}
  Gateway: {Value: !Ref ServerlessHttpApi}
  Application: {Value: !Ref ServerlessDeploymentApplication}
"""

NETWORK = """
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Block: {Type: AWS::EC2::VPCCidrBlock, Properties: {VpcId: !Ref Vpc, AmazonProvidedIpv6CidrBlock: true}}
  Subnet:
    Type: AWS::EC2::Subnet
    DependsOn: Block
    Properties:
      VpcId: !Ref Vpc
      AvailabilityZone: !Select [1, !GetAZs ""]
      CidrBlock: !Select [1, !Cidr [!GetAtt Vpc.CidrBlock, 4, 8]]
      Ipv6CidrBlock: !Select [1, !Cidr [!Select [0, !GetAtt Vpc.Ipv6CidrBlocks], 4, 64]]
  Internet: {Type: AWS::EC2::InternetGateway}
  Attached:
    Type: AWS::EC2::VPCGatewayAttachment
    Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Internet}
  Egress: {Type: AWS::EC2::EgressOnlyInternetGateway, Properties: {VpcId: !Ref Vpc}}
  Table: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
  Ipv6Route:
    Type: AWS::EC2::Route
    Properties:
      RouteTableId: !Ref Table
      DestinationIpv6CidrBlock: "::/0"
      EgressOnlyInternetGatewayId: !Ref Egress
  Address: {Type: AWS::EC2::EIP, DependsOn: Attached, Properties: {Domain: vpc}}
  Nat:
    Type: AWS::EC2::NatGateway
    Properties: {SubnetId: !Ref Subnet, AllocationId: !GetAtt Address.AllocationId}
  NatRoute:
    Type: AWS::EC2::Route
    Properties: {RouteTableId: !Ref Table, DestinationCidrBlock: 0.0.0.0/0, NatGatewayId: !Ref Nat}
  Group: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: one, VpcId: !Ref Vpc}}
  Rule:
    Type: AWS::EC2::SecurityGroupIngress
    Properties: {GroupId: !Ref Group, IpProtocol: tcp, FromPort: 5432, ToPort: 5432, CidrIp: 10.0.0.0/16}
  Logs: {Type: AWS::Logs::LogGroup}
  FlowLog:
    Type: AWS::EC2::FlowLog
    Properties: {ResourceId: !Ref Vpc, ResourceType: VPC, TrafficType: REJECT, LogGroupName: !Ref Logs}
Outputs:
  Subnets: {Value: !Ref Subnet, Export: {Name: !Sub "${AWS::StackName}-subnets"}}
"""

DATABASE = """
Parameters:
  Network: {Type: String}
  Protected: {Type: String}
Resources:
  Subnets:
    Type: AWS::RDS::DBSubnetGroup
    Properties:
      DBSubnetGroupDescription: private
      SubnetIds: [Fn::ImportValue: !Sub "${Network}-subnets"]
  Server:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: Snapshot
    Properties:
      Engine: postgres
      DBInstanceClass: db.t4g.small
      AllocatedStorage: "20"
      MasterUsername: master
      ManageMasterUserPassword: true
      DBSubnetGroupName: !Ref Subnets
      DeletionProtection: !Ref Protected
  Secret:
    Type: AWS::SecretsManager::Secret
    Properties:
      GenerateSecretString:
        SecretStringTemplate: '{"A": ""}'
        GenerateStringKey: B
        PasswordLength: 64
        ExcludePunctuation: true
Outputs:
  Name: {Value: !Ref Server}
  Address: {Value: !Sub "${Server.Endpoint.Address}:${Server.Endpoint.Port}"}
  Id: {Value: !GetAtt Server.DbiResourceId}
  Master: {Value: !GetAtt Server.MasterUserSecret.SecretArn}
  Secret: {Value: !Ref Secret}
"""

SERVICE = """
Parameters:
  Release: {Type: String}
  Pushed: {Type: String, Default: ""}
  Fault: {Type: String, Default: ""}
  Before: {Type: String, Default: SUCCEEDED}
  After: {Type: String, Default: SUCCEEDED}
  Balanced: {Type: String, Default: "yes"}
  Tag: {Type: String, Default: one}
  Broken: {Type: String, Default: "no"}
Conditions:
  IsBalanced: !Equals [!Ref Balanced, "yes"]
  IsBroken: !Equals [!Ref Broken, "yes"]
  IsOwn: !Not [!Equals [!Ref Pushed, ""]]
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24}}
  Group: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: tasks, VpcId: !Ref Vpc}}
  Calls: {Type: AWS::SQS::Queue}
  Logs: {Type: AWS::Logs::LogGroup}
  Repository: {Type: AWS::ECR::Repository, Properties: {EmptyOnDelete: true}}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: test
      MetricName: errors
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
  HookRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Hook:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      Timeout: 20
      Role: !GetAtt HookRole.Arn
      Environment:
        Variables:
          CLUSTER: !Ref Cluster
          CALLS: !Ref Calls
          ALARM: !Ref Alarm
          PRE_SCALE_UP: !Ref Before
          POST_PRODUCTION_TRAFFIC_SHIFT: !Ref After
      Code:
        ZipFile: |
          import json, os, boto3
          def handler(event, context):
              stage, details = event["lifecycleStage"], event.get("hookDetails", {})
              tasks = boto3.client("ecs").list_tasks(cluster=os.environ["CLUSTER"])["taskArns"]
              said = json.dumps([stage, len(tasks), details])
              boto3.client("sqs").send_message(QueueUrl=os.environ["CALLS"], MessageBody=said)
              answer = os.environ[stage]
              if answer == "none":
                  return None
              if answer == "error":
                  raise ValueError("a test")
              if answer == "alarm":
                  boto3.client("cloudwatch").set_alarm_state(
                      AlarmName=os.environ["ALARM"], StateValue="ALARM", StateReason="a test")
                  answer = "SUCCEEDED"
              if answer == "IN_PROGRESS" and details:
                  return {"hookStatus": "SUCCEEDED"}
              return {"hookStatus": answer, "callBackDelay": 30, "hookDetails": {"asked": "before"}}
  EcsRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ecs.amazonaws.com}, Action: sts:AssumeRole}]
      ManagedPolicyArns: [arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers]
      Policies:
        - PolicyName: hooks
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - {Effect: Allow, Action: lambda:InvokeFunction, Resource: !GetAtt Hook.Arn}
  Balancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Condition: IsBalanced
    Properties: {Subnets: [!Ref Subnet], SecurityGroups: [!Ref Group]}
  Blue:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Condition: IsBalanced
    Properties: {Port: 8000, Protocol: HTTP, TargetType: ip, VpcId: !Ref Vpc}
  Green:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Condition: IsBalanced
    Properties: {Port: 8000, Protocol: HTTP, TargetType: ip, VpcId: !Ref Vpc}
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Condition: IsBalanced
    Properties:
      LoadBalancerArn: !Ref Balancer
      Port: 80
      Protocol: HTTP
      DefaultActions: [{Type: fixed-response, FixedResponseConfig: {StatusCode: "404"}}]
  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Condition: IsBalanced
    Properties:
      ListenerArn: !Ref Listener
      Priority: 1
      Conditions: [{Field: path-pattern, PathPatternConfig: {Values: ["/*"]}}]
      Actions:
        - Type: forward
          ForwardConfig:
            TargetGroups:
              - {TargetGroupArn: !Ref Blue, Weight: 100}
              - {TargetGroupArn: !Ref Green, Weight: 0}
  Cluster: {Type: AWS::ECS::Cluster}
  Definition:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: !Ref AWS::StackName
      RequiresCompatibilities: [FARGATE]
      NetworkMode: awsvpc
      Cpu: "256"
      Memory: "512"
      ContainerDefinitions:
        - Name: app
          Image: !If [IsOwn, !Sub "${Repository.RepositoryUri}:${Pushed}", "elsewhere.test/app:1"]
          PortMappings: [{ContainerPort: 8000}]
          ReadonlyRootFilesystem: true
          StopTimeout: 10
          Environment: [{Name: RELEASE, Value: !Ref Release}, {Name: FAULT, Value: !Ref Fault}]
          LogConfiguration:
            LogDriver: awslogs
            Options:
              awslogs-group: !Ref Logs
              awslogs-region: !Ref AWS::Region
              awslogs-stream-prefix: app
  Service:
    Type: AWS::ECS::Service
    Properties:
      Cluster: !Ref Cluster
      LaunchType: FARGATE
      TaskDefinition: !Ref Definition
      Tags: [{Key: tag, Value: !Ref Tag}]
      DeploymentConfiguration:
        Strategy: BLUE_GREEN
        BakeTimeInMinutes: 5
        LifecycleHooks:
          - HookTargetArn: !GetAtt Hook.Arn
            RoleArn: !GetAtt EcsRole.Arn
            LifecycleStages: [PRE_SCALE_UP]
          - HookTargetArn: !GetAtt Hook.Arn
            RoleArn: !GetAtt EcsRole.Arn
            LifecycleStages: [POST_PRODUCTION_TRAFFIC_SHIFT]
        Alarms:
          AlarmNames: [!Ref Alarm, !If [IsBroken, !Ref Alarm, !Ref AWS::NoValue]]
          Enable: true
          Rollback: true
      LoadBalancers: !If
        - IsBalanced
        - - ContainerName: app
            ContainerPort: 8000
            TargetGroupArn: !Ref Blue
            AdvancedConfiguration:
              AlternateTargetGroupArn: !Ref Green
              ProductionListenerRule: !Ref Rule
              RoleArn: !GetAtt EcsRole.Arn
        - !Ref AWS::NoValue
      NetworkConfiguration:
        AwsvpcConfiguration:
          Subnets: [!Ref Subnet]
          SecurityGroups: [!Ref Group]
          AssignPublicIp: ENABLED
  Last:
    Type: AWS::SNS::Topic
    DependsOn: Service
    Condition: IsBroken
    Properties: {TopicName: !ImportValue nothing}
Outputs:
  Calls: {Value: !Ref Calls}
  Alarm: {Value: !Ref Alarm}
  Cluster: {Value: !Ref Cluster}
  Service: {Value: !Ref Service}
  Logs: {Value: !Ref Logs}
  Repository: {Value: !Ref Repository}
  Rule: {Condition: IsBalanced, Value: !Ref Rule}
  Address: {Condition: IsBalanced, Value: !Sub "http://${Balancer.DNSName}"}
"""
